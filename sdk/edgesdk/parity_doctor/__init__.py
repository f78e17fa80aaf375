"""Why an application's model answers differently: the usual mistakes around a model, searched and named."""
