"""Charts composed of laws and runs: for the command line, the report and the tab. Single marks are in `charts`."""
