"""The first policy of a model: bounds between what its maps reach and what blind maps reach."""
