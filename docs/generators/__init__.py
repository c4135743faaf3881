"""What makes the generated pages of the site, one module a page."""
