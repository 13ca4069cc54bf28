"""Files that show the report of a map: one result object, a module for each form."""
