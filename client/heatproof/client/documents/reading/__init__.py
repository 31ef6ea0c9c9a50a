"""Files of the user as they are found: tables, and tensors that lie beside a model."""
