"""TensorBoard's event files as logs: their records, their wire format, their series."""
