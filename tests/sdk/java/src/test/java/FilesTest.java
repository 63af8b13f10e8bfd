import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.microsoft.azure.sdk.iot.device.DeviceClient;
import com.microsoft.azure.sdk.iot.device.FileUploadCompletionNotification;
import com.microsoft.azure.sdk.iot.device.FileUploadSasUriRequest;
import com.microsoft.azure.sdk.iot.device.FileUploadSasUriResponse;
import com.microsoft.azure.sdk.iot.device.IotHubClientProtocol;
import com.microsoft.azure.sdk.iot.service.auth.AuthenticationType;
import com.microsoft.azure.sdk.iot.service.messaging.AcknowledgementType;
import com.microsoft.azure.sdk.iot.service.messaging.FileUploadNotification;
import com.microsoft.azure.sdk.iot.service.messaging.FileUploadNotificationProcessorClient;
import com.microsoft.azure.sdk.iot.service.messaging.IotHubServiceClientProtocol;
import com.microsoft.azure.sdk.iot.service.registry.Device;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** A device of Microsoft's Java SDK uploads a file, and a service of theirs hears of it. The JVM trusts the hub's CA. */
class FilesTest {
    private static final String HUB = System.getenv("HUB_CS");
    private static final String HOST = HUB.replaceAll("HostName=([^;]+);.*", "$1");

    private final LinkedBlockingQueue<FileUploadNotification> heard = new LinkedBlockingQueue<>();

    /** The notice of this blob; others are of other tests. */
    private FileUploadNotification noticeOf(String blob) throws Exception {
        for (long end = System.nanoTime() + 20_000_000_000L; System.nanoTime() < end;) {
            FileUploadNotification notice = heard.poll(1, TimeUnit.SECONDS);
            if (notice != null && blob.equals(notice.getBlobName())) return notice;
        }
        return null;
    }

    private static int put(FileUploadSasUriResponse to, byte[] content) throws Exception {
        HttpURLConnection call = (HttpURLConnection) to.getBlobUri().toURL().openConnection();
        call.setRequestMethod("PUT");
        call.setRequestProperty("x-ms-blob-type", "BlockBlob");
        call.setDoOutput(true);
        try (OutputStream body = call.getOutputStream()) {
            body.write(content);
        }
        return call.getResponseCode();
    }

    @Test
    void aFileThatADeviceUploadsIsTold() throws Exception {
        String id = "java-files-" + UUID.randomUUID();
        Device device = new RegistryClient(HUB).addDevice(new Device(id, AuthenticationType.SAS));
        FileUploadNotificationProcessorClient service =
                new FileUploadNotificationProcessorClient(HUB, IotHubServiceClientProtocol.AMQPS, notice -> {
                    heard.add(notice);
                    return AcknowledgementType.COMPLETE;
                });
        service.start();
        DeviceClient client = new DeviceClient(
                "HostName=" + HOST + ";DeviceId=" + id + ";SharedAccessKey=" + device.getPrimaryKey(), IotHubClientProtocol.MQTT);
        client.open(true);
        byte[] content = new byte[300_000];
        new Random(1).nextBytes(content);
        FileUploadSasUriResponse where = client.getFileUploadSasUri(new FileUploadSasUriRequest("logs/today.bin"));
        assertEquals(id + "/logs/today.bin", where.getBlobName());
        assertEquals(201, put(where, content));
        client.completeFileUpload(new FileUploadCompletionNotification(where.getCorrelationId(), true, 200, "fine"));
        FileUploadNotification notice = noticeOf(where.getBlobName());
        client.close();
        service.stop();
        assertNotNull(notice, "a notification");
        assertEquals(id, notice.getDeviceId());
        assertEquals(content.length, notice.getBlobSizeInBytes());
        assertArrayEquals(content, where.getBlobUri().toURL().openStream().readAllBytes());
    }
}
