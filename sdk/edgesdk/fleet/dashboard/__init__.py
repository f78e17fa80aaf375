"""The pages a person sees: rendered here, refreshed by htmx, charts by uPlot; nothing is fetched from elsewhere."""
