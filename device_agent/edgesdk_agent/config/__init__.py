"""`edgesdk.yaml`: one file a section, `root` with all of them, `loading` and `origin` of what is set where."""
