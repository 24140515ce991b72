#!/usr/bin/env python3
"""MQTT generator: the article's device.py, for Python 3. Quotation marks, indentation and closing brackets are
mended, which the page's typesetting broke, and so is the pause of the rate, without which it only spins; a port or QoS
from the command line is a number."""
import random
import time
import uuid
import json
from argparse import ArgumentParser
import paho.mqtt.client as mqtt

parser = ArgumentParser()
parser.add_argument("-b", "--broker", dest="broker_address", required=True, help="MQTT broker address")
parser.add_argument("-p", "--port", dest="broker_port", default=1883, type=int, help="MQTT broker port")
parser.add_argument("-r", "--rate", dest="sample_rate", default=5, type=float, help="Sample rate")
parser.add_argument("-q", "--qos", dest="qos", default=0, type=int, help="MQTT QOS")
args = parser.parse_args()

uuid = str(uuid.uuid4())
topic = "device/%s" % uuid

mqttc = mqtt.Client(uuid, False)
mqttc.connect(args.broker_address, args.broker_port)
mqttc.loop_start()

while True:
    rand = random.randint(20, 30)
    msg = {
        'uuid': uuid,
        'value': rand
    }
    mqttc.publish(topic, payload=json.dumps(msg), qos=args.qos)
    time.sleep(1 / args.sample_rate)
