"""Meeting other libraries: what they ask to be registered with them."""
