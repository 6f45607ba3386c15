"""Ways to make a model's decisions more alike between groups, each with what it costs and what it breaks."""
