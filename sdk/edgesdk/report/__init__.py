"""HTML reports: one page, its plots."""
