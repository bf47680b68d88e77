"""The figures of the documents, one module a subject, from the result files."""
