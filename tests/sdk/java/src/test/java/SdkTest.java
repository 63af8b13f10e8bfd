import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.EventHubConsumerClient;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.messaging.eventhubs.models.PartitionEvent;
import com.microsoft.azure.sdk.iot.device.ClientOptions;
import com.microsoft.azure.sdk.iot.device.DeviceClient;
import com.microsoft.azure.sdk.iot.device.IotHubClientProtocol;
import com.microsoft.azure.sdk.iot.device.IotHubMessageResult;
import com.microsoft.azure.sdk.iot.device.Message;
import com.microsoft.azure.sdk.iot.device.ModuleClient;
import com.microsoft.azure.sdk.iot.device.exceptions.IotHubClientException;
import com.microsoft.azure.sdk.iot.device.twin.DirectMethodResponse;
import com.microsoft.azure.sdk.iot.device.twin.TwinCollection;
import com.microsoft.azure.sdk.iot.service.auth.AuthenticationType;
import com.microsoft.azure.sdk.iot.service.messaging.IotHubServiceClientProtocol;
import com.microsoft.azure.sdk.iot.service.messaging.MessagingClient;
import com.microsoft.azure.sdk.iot.service.methods.DirectMethodRequestOptions;
import com.microsoft.azure.sdk.iot.service.methods.DirectMethodsClient;
import com.microsoft.azure.sdk.iot.service.query.QueryClient;
import com.microsoft.azure.sdk.iot.service.registry.Device;
import com.microsoft.azure.sdk.iot.service.registry.Module;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import com.microsoft.azure.sdk.iot.service.twin.Twin;
import com.microsoft.azure.sdk.iot.service.twin.TwinClient;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Microsoft's Java SDKs: devices over each protocol, services, and the event stream. The JVM trusts the hub's CA. */
class SdkTest {
    private static final String HUB = System.getenv("HUB_CS");
    private static final String HOST = HUB.replaceAll("^HostName=([^;]+);.*", "$1");
    private static final String HTTPS = "HTTPS";

    private final RegistryClient registry = new RegistryClient(HUB);

    private Device newDevice() throws Exception {
        return registry.addDevice(new Device("java-" + UUID.randomUUID(), AuthenticationType.SAS));
    }

    private static String stringOf(Device device) {
        return "HostName=" + HOST + ";DeviceId=" + device.getDeviceId() + ";SharedAccessKey=" + device.getPrimaryKey();
    }

    /** What a device has sent, read by azure-messaging-eventhubs. */
    private static List<PartitionEvent> events(String deviceId, int count) {
        List<PartitionEvent> found = new ArrayList<>();
        try (EventHubConsumerClient client = new EventHubClientBuilder().connectionString(System.getenv("EVENTS_CS"))
                .consumerGroup("$Default").buildConsumerClient()) {
            for (long end = System.nanoTime() + 30_000_000_000L; found.size() < count && System.nanoTime() < end;) {
                found.clear();
                for (String partition : client.getPartitionIds())
                    for (PartitionEvent event : client.receiveFromPartition(partition, 1000, EventPosition.earliest(), Duration.ofSeconds(1)))
                        if (deviceId.equals(String.valueOf(event.getData().getSystemProperties().get("iothub-connection-device-id"))))
                            found.add(event);
            }
        }
        assertEquals(count, found.size());
        return found;
    }

    @ParameterizedTest
    @EnumSource(IotHubClientProtocol.class)
    void telemetryAndItsPropertiesAreStored(IotHubClientProtocol protocol) throws Exception {
        Device device = newDevice();
        DeviceClient client = new DeviceClient(stringOf(device), protocol);
        client.open(false);
        for (int i = 0; i < 3; i++) {
            Message message = new Message("{\"i\":" + i + "}");
            message.setMessageId("m" + i);
            message.setContentType("application/json");
            message.setContentEncoding("utf-8");
            message.setProperty("number", "n" + i);
            client.sendEvent(message);
        }
        client.close();
        List<PartitionEvent> stored = events(device.getDeviceId(), 3);
        for (int i = 0; i < 3; i++) {
            assertEquals("{\"i\":" + i + "}", stored.get(i).getData().getBodyAsString());
            assertEquals("n" + i, stored.get(i).getData().getProperties().get("number"));
            assertEquals("m" + i, stored.get(i).getData().getMessageId());
            assertEquals("application/json", stored.get(i).getData().getContentType());
        }
    }

    private static final int WAIT_MS = 5000;

    private interface Operation {
        void run() throws Exception;
    }

    /** The SDK keeps what an answer belongs to only after it has sent the question: over AMQP one within a millisecond is lost to it. */
    private static void again(Operation operation) throws Exception {
        for (int i = 0; i < 3; i++) {
            try {
                operation.run();
                return;
            } catch (IotHubClientException timeOut) {
                if (i == 2) throw timeOut;
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = IotHubClientProtocol.class, mode = EnumSource.Mode.EXCLUDE, names = HTTPS)
    void twinsGoBothWays(IotHubClientProtocol protocol) throws Exception {
        Device device = newDevice();
        TwinClient twins = new TwinClient(HUB);
        DeviceClient client = new DeviceClient(stringOf(device), protocol);
        BlockingQueue<com.microsoft.azure.sdk.iot.device.twin.Twin> heard = new LinkedBlockingQueue<>();
        client.open(false);
        TwinCollection reported = new TwinCollection();
        reported.put("r", 21.1);
        again(() -> client.subscribeToDesiredProperties((twin, context) -> heard.add(twin), null, WAIT_MS));
        again(() -> assertEquals(1, client.getTwin(WAIT_MS).getDesiredProperties().getVersion()));
        again(() -> client.updateReportedProperties(reported, WAIT_MS));
        Twin twin = twins.get(device.getDeviceId());
        assertEquals(21.1, twin.getReportedProperties().get("r"));
        twin.getDesiredProperties().put("x", 21.1);
        twins.patch(twin);
        assertEquals(21.1, heard.poll(20, TimeUnit.SECONDS).getDesiredProperties().get("x"));
        client.close();
    }

    @ParameterizedTest
    @EnumSource(value = IotHubClientProtocol.class, mode = EnumSource.Mode.EXCLUDE, names = HTTPS)
    void methodsAreAnswered(IotHubClientProtocol protocol) throws Exception {
        Device device = newDevice();
        DeviceClient client = new DeviceClient(stringOf(device), protocol);
        client.open(false);
        client.subscribeToMethods((name, payload, context) -> new DirectMethodResponse(207, name + " " + payload.getPayloadAsJsonString()), null);
        var answer = new DirectMethodsClient(HUB).invoke(device.getDeviceId(), "reset",
                DirectMethodRequestOptions.builder().payload(List.of(1, 2)).methodResponseTimeoutSeconds(20).build());
        assertEquals(207, answer.getStatus());
        assertEquals("\"reset [1,2]\"", answer.getPayloadAsJsonElement().toString());
        client.close();
    }

    @ParameterizedTest
    @EnumSource(IotHubClientProtocol.class)
    void aMessageIsCompleted(IotHubClientProtocol protocol) throws Exception {
        takes(protocol, IotHubMessageResult.COMPLETE);
    }

    @ParameterizedTest
    @EnumSource(value = IotHubClientProtocol.class, names = {"AMQPS", "AMQPS_WS", HTTPS})
    void aMessageIsRejectedOrAbandoned(IotHubClientProtocol protocol) throws Exception {
        takes(protocol, IotHubMessageResult.REJECT);
        takes(protocol, IotHubMessageResult.ABANDON);
    }

    /** A message that waits is taken with this verdict; an abandoned one comes again and is completed then. */
    private void takes(IotHubClientProtocol protocol, IotHubMessageResult verdict) throws Exception {
        Device device = newDevice();
        MessagingClient service = new MessagingClient(HUB, IotHubServiceClientProtocol.AMQPS);
        service.open();
        var sent = new com.microsoft.azure.sdk.iot.service.messaging.Message("hello");
        sent.setMessageId("c1");
        sent.getProperties().put("prop", "val");
        service.send(device.getDeviceId(), sent);
        service.close();
        BlockingQueue<Message> heard = new LinkedBlockingQueue<>();
        DeviceClient client = new DeviceClient(stringOf(device), protocol, ClientOptions.builder().receiveInterval(100).build());
        client.setMessageCallback((message, context) -> {
            heard.add(message);
            return heard.size() > 1 ? IotHubMessageResult.COMPLETE : verdict;
        }, null);
        client.open(false);
        for (int i = 0; i < (verdict == IotHubMessageResult.ABANDON ? 2 : 1); i++) {
            Message message = heard.poll(60, TimeUnit.SECONDS);
            assertEquals("hello", new String(message.getBytes()));
            assertEquals("c1", message.getMessageId());
            assertEquals("val", message.getProperty("prop"));
            heard.add(message); // it counts once more
            heard.poll();
        }
        client.close();
    }

    @ParameterizedTest
    @EnumSource(value = IotHubClientProtocol.class, mode = EnumSource.Mode.EXCLUDE, names = HTTPS)
    void aConnectionComesBackAndATokenIsRenewed(IotHubClientProtocol protocol) throws Exception {
        Device device = newDevice();
        DeviceClient client = new DeviceClient(stringOf(device), protocol, ClientOptions.builder().sasTokenExpiryTime(8).build());
        client.open(false);
        client.sendEvent(new Message("1"));
        Thread.sleep(9000); // the token's life: the SDK renews it on its own
        client.sendEvent(new Message("2"));
        client.close();
        client.open(false);
        client.sendEvent(new Message("3"));
        client.close();
        events(device.getDeviceId(), 3);
    }

    @ParameterizedTest
    @EnumSource(value = IotHubClientProtocol.class, names = {"MQTT", "AMQPS", HTTPS})
    void aCertificateByThumbprintIsEnough(IotHubClientProtocol protocol) throws Exception {
        Path folder = Files.createTempDirectory("x509");
        Device device = new Device("java-x509-" + UUID.randomUUID(), AuthenticationType.SELF_SIGNED);
        String thumbprint = certificate(folder, device.getDeviceId());
        device.setThumbprint(thumbprint, thumbprint);
        registry.addDevice(device);
        DeviceClient client = new DeviceClient("HostName=" + HOST + ";DeviceId=" + device.getDeviceId() + ";x509=true", protocol,
                ClientOptions.builder().sslContext(contextOf(folder)).build());
        client.open(false);
        client.sendEvent(new Message("proved"));
        client.close();
        events(device.getDeviceId(), 1);
    }

    /** Makes folder/client.p12; returns the SHA-1 thumbprint. */
    private static String certificate(Path folder, String name) throws Exception {
        String script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout k -out c -subj /CN=" + name
                + " -days 30 2>/dev/null && openssl pkcs12 -export -inkey k -in c -out client.p12 -passout pass:changeit"
                + " && openssl x509 -in c -noout -fingerprint -sha1";
        Process process = new ProcessBuilder("sh", "-c", script).directory(folder.toFile()).start();
        String printed = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor());
        return printed.trim().replaceAll(".*=", "").replace(":", "");
    }

    private static SSLContext contextOf(Path folder) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new ByteArrayInputStream(Files.readAllBytes(folder.resolve("client.p12")))) {
            store.load(in, "changeit".toCharArray());
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, "changeit".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    @ParameterizedTest
    @EnumSource(value = IotHubClientProtocol.class, names = {"MQTT", "AMQPS"})
    void aModuleHasAllOfItToo(IotHubClientProtocol protocol) throws Exception {
        Device device = newDevice();
        Module module = registry.addModule(new Module(device.getDeviceId(), "m", AuthenticationType.SAS));
        ModuleClient client = new ModuleClient(stringOf(device).replace(device.getPrimaryKey(), module.getPrimaryKey()) + ";ModuleId=m", protocol);
        client.open(false);
        client.sendEvent(new Message("hello"));
        client.subscribeToMethods((name, payload, context) -> new DirectMethodResponse(200, null), null);
        assertEquals(200, new DirectMethodsClient(HUB).invoke(device.getDeviceId(), "m", "ping").getStatus());
        client.close();
        events(device.getDeviceId(), 1);
    }

    @Test
    void aWrongKeyIsRefused() throws Exception {
        Device device = newDevice(), other = newDevice();
        for (IotHubClientProtocol protocol : new IotHubClientProtocol[] {IotHubClientProtocol.MQTT, IotHubClientProtocol.AMQPS}) {
            DeviceClient client = new DeviceClient(stringOf(device).replace(device.getPrimaryKey(), other.getPrimaryKey()), protocol);
            assertThrows(Exception.class, () -> client.open(false));
        }
    }

    @Test
    void theRegistryIsKeptAndAsked() throws Exception {
        Device device = newDevice();
        assertEquals(device.getETag(), registry.getDevice(device.getDeviceId()).getETag());
        var found = new QueryClient(HUB).queryTwins("SELECT * FROM devices WHERE deviceId = '" + device.getDeviceId() + "'");
        assertTrue(found.hasNext());
        assertEquals(device.getDeviceId(), found.next().getDeviceId());
        registry.removeDevice(device.getDeviceId());
        assertThrows(Exception.class, () -> registry.getDevice(device.getDeviceId()));
    }
}
