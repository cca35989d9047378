"""What is measured, one module for each subject; a function returns the lines of the table."""
