// Half a minute of an update, told by the property FirmwareUpdateStatus; the device sends nothing meanwhile.
function main(context, previousState, previousProperties) {
  var version = String(context.Firmware || context.firmware || "");
  log("firmware update to " + version + " begins");
  updateState({ online: false });
  updateProperty("FirmwareUpdateStatus", "Command received, updating firmware version to " + version);
  sleep(5000);
  updateProperty("FirmwareUpdateStatus", "Downloading new firmware from " + String(context.FirmwareUri || context.firmwareUri || ""));
  sleep(10000);
  updateProperty("FirmwareUpdateStatus", "Applying firmware version " + version);
  sleep(5000);
  updateProperty("FirmwareUpdateStatus", "Rebooting");
  sleep(10000);
  if (version) updateProperty("Firmware", version);
  updateProperty("FirmwareUpdateStatus", "Firmware updated to " + version);
  updateState({ online: true });
}
