"""A process for a hub: records or readings come as they are measured, explanations go out when a prediction is unwanted.

In: messages on standard input or MQTT. Out: explanations, dead letters, a health file. Keeps no record once it is answered, and opens no
connection but to the broker it was told of.
"""
