"""Everything moved to hooks/, or did it?"""
