"""A folder of logs, served read-only to assistants that ask by the Model Context Protocol."""
