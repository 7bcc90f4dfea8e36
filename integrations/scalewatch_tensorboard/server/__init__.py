"""What TensorBoard meets: flags, routes, answers, files."""
