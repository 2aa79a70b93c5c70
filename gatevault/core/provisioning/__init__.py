"""Setting up a gate, as values: what is asked, in which words, and how the header is drawn. No terminal, no file.

questions   every question with its key, what it takes and why an answer is refused
answers     an answer file as values
words       each sentence of the wizard in zh and en
header      the 40-pin header and its wires as lines of text
config      answers as the text of `config.toml`
"""
