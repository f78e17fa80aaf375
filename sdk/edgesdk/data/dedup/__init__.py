"""Pictures that are there twice: by their pixels, or as a person sees them."""
