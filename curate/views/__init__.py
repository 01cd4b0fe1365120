"""The pages: `shell` frames them, one module per page renders it, `parts` holds what they share.

Pages read and write through `curate.ops.run` only, as the signed-in user. Record text reaches the browser as
text: escaped in HTML, `textContent` in the review card, never as Markdown.
"""
