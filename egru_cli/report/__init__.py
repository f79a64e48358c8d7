"""Reports as HTML pages that need no network: figures by Bokeh, text by Jinja."""
