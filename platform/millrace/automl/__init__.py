"""AutoML: a search within a time budget, a hold-out that the search never sees, and a model that takes raw rows."""
