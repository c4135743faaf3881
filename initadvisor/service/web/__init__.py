"""The page for people: rendered here, no build step, nothing inline, readable without scripts."""
