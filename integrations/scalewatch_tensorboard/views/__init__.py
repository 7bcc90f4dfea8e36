"""What each panel of the tab asks for."""
