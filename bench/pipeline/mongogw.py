#!/usr/bin/env python3
"""MQTT to MongoDB gateway: the article's mongogw.py as test/article has it. The addresses and the QoS come from the
environment, and the time at which a message was published goes with its document."""
import datetime
import json
import os
from urllib.parse import urlparse

import paho.mqtt.client as mqtt
import pymongo


def on_message(client, userdata, message):
    json_data = json.loads(message.payload)
    post_data = {
        'date': datetime.datetime.utcnow(),
        'deviceUID': json_data['uuid'],
        'value': json_data['value'],
        'gatewayID': 'bench',
        'sentAt': json_data['sentAt'],
    }
    result = devices.insert_one(post_data)


mongo_client = pymongo.MongoClient(os.environ['MONGODB_URI'])
db = mongo_client.bench
devices = db.devices

broker = urlparse(os.environ['MQTT_URL'])
mqttc = mqtt.Client("mongogw", False)
mqttc.on_message = on_message
mqttc.connect(broker.hostname, broker.port)
mqttc.subscribe("device/#", qos=int(os.environ['QOS']))
mqttc.loop_forever()
