"""The hall: one file per command. It parses what was typed, calls the rooms, prints, and chooses the exit code."""
