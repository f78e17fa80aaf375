"""Cross-validation: what models give over folds of the data, as they are or trained anew for each."""
