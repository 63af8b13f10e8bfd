"""An IoT Edge module as the SDK's samples write it: passes input "in" on to output "out", reports its greeting, answers methods."""

import asyncio

from azure.iot.device import Message, MethodResponse
from azure.iot.device.aio import IoTHubModuleClient


async def main():
    client = IoTHubModuleClient.create_from_edge_environment()
    await client.connect()

    async def on_message(message):
        passed = Message(message.data)
        passed.custom_properties = {"by": "python", **message.custom_properties}
        await client.send_message_to_output(passed, "out")

    async def on_method(request):
        await client.send_method_response(MethodResponse.create_from_method_request(request, 200, {"python": request.payload}))

    async def on_patch(patch):
        if "greeting" in patch:
            await client.patch_twin_reported_properties({"greeting": patch["greeting"]})

    client.on_message_received = on_message
    client.on_method_request_received = on_method
    client.on_twin_desired_properties_patch_received = on_patch
    await on_patch((await client.get_twin())["desired"])
    print("ready")
    await asyncio.Event().wait()


asyncio.run(main())
