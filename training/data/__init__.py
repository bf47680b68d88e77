"""Pictures of faces with the shares of people who named an expression; one reader a layout."""
