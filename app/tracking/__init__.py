"""Links and pixels: codes and their URLs, rewriting of html and text, unsubscribe headers."""
