"""An ordinary project to compare with: the same resources, written as the documentation of its libraries recommends."""
