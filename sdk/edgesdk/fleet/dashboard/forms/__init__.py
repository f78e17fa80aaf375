"""Forms whose fields are not the stored document's own: from what a person wrote to a document, and back."""
