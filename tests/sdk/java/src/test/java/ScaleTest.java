import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.microsoft.azure.sdk.iot.service.auth.AuthenticationType;
import com.microsoft.azure.sdk.iot.service.configurations.Configuration;
import com.microsoft.azure.sdk.iot.service.configurations.ConfigurationContent;
import com.microsoft.azure.sdk.iot.service.configurations.ConfigurationsClient;
import com.microsoft.azure.sdk.iot.service.jobs.ScheduledJob;
import com.microsoft.azure.sdk.iot.service.jobs.ScheduledJobStatus;
import com.microsoft.azure.sdk.iot.service.jobs.ScheduledJobsClient;
import com.microsoft.azure.sdk.iot.service.query.JobQueryResponse;
import com.microsoft.azure.sdk.iot.service.query.QueryClient;
import com.microsoft.azure.sdk.iot.service.query.QueryPageOptions;
import com.microsoft.azure.sdk.iot.service.query.RawQueryResponse;
import com.microsoft.azure.sdk.iot.service.query.TwinQueryResponse;
import com.microsoft.azure.sdk.iot.service.registry.Device;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import com.microsoft.azure.sdk.iot.service.twin.Twin;
import com.microsoft.azure.sdk.iot.service.twin.TwinClient;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

/** Microsoft's Java service SDK with many devices at once: configurations, jobs and queries. */
class ScaleTest {
    private static final String HUB = System.getenv("HUB_CS");

    private final RegistryClient registry = new RegistryClient(HUB);
    private final TwinClient twins = new TwinClient(HUB);
    private final QueryClient queries = new QueryClient(HUB);
    private final String site = "site-" + UUID.randomUUID();

    /** So many devices with a tag of their own. */
    private List<String> devices(int count) throws Exception {
        List<String> made = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String id = "java-" + UUID.randomUUID();
            registry.addDevice(new Device(id, AuthenticationType.SAS));
            Twin twin = new Twin(id);
            twin.getTags().put("site", site);
            twin.getTags().put("number", i);
            twins.patch(twin);
            made.add(id);
        }
        return made;
    }

    private static void until(String what, Callable<Boolean> there) throws Exception {
        for (long end = System.nanoTime() + 20_000_000_000L; System.nanoTime() < end; Thread.sleep(100))
            if (there.call()) return;
        throw new AssertionError("waited in vain for " + what);
    }

    @Test
    void aConfigurationReachesWhomItTargets() throws Exception {
        String device = devices(1).get(0);
        ConfigurationsClient client = new ConfigurationsClient(HUB);
        Configuration configuration = new Configuration("configuration-" + UUID.randomUUID());
        Map<String, Object> values = new HashMap<>();
        values.put("properties.desired.chiller", Collections.singletonMap("temp", 70));
        ConfigurationContent content = new ConfigurationContent();
        content.setDeviceContent(values);
        configuration.setContent(content);
        configuration.setPriority(3);
        configuration.setTargetCondition("tags.site = '" + site + "'");
        client.create(configuration);
        until("the device to get it", () -> twins.get(device).getDesiredProperties().containsKey("chiller"));
        until("the counts", () -> Long.valueOf(1).equals(
                client.get(configuration.getId()).getSystemMetrics().getResults().get("appliedCount")));
        Configuration stored = client.get(configuration.getId());
        stored.setPriority(4);
        client.replace(stored);
        assertEquals(4, client.get(configuration.getId()).getPriority());
        client.delete(configuration.getId());
        until("its end", () -> !twins.get(device).getDesiredProperties().containsKey("chiller"));
    }

    @Test
    void aJobChangesTheTwinsThatAConditionSelects() throws Exception {
        List<String> devices = devices(3);
        ScheduledJobsClient jobs = new ScheduledJobsClient(HUB);
        String id = "job-" + UUID.randomUUID();
        Twin update = new Twin();
        update.setETag("*");
        update.getTags().put("seen", true);
        jobs.scheduleUpdateTwin(id, "tags.site = '" + site + "' AND tags.number > 0", update, new Date(), 60);
        until("the job's end", () -> jobs.get(id).getJobStatus() == ScheduledJobStatus.completed);
        ScheduledJob job = jobs.get(id);
        assertEquals(2, job.getJobStatistics().getSucceededCount());
        assertFalse(twins.get(devices.get(0)).getTags().containsKey("seen"));
        assertTrue(twins.get(devices.get(1)).getTags().containsKey("seen"));
        int rows = 0;
        for (JobQueryResponse found = queries.queryJobs("SELECT * FROM devices.jobs WHERE jobId = '" + id + "'"); found.hasNext(); rows++)
            assertTrue(devices.contains(found.next().getDeviceId()));
        assertEquals(2, rows);
    }

    @Test
    void pagesFollowOneAnother() throws Exception {
        List<String> devices = devices(5), found = new ArrayList<>();
        QueryPageOptions two = QueryPageOptions.builder().pageSize(2).build();
        TwinQueryResponse pages = queries.queryTwins("SELECT * FROM devices WHERE tags.site = '" + site + "'", two);
        while (pages.hasNext()) found.add(pages.next(two).getDeviceId());
        Collections.sort(devices);
        Collections.sort(found);
        assertEquals(devices, found);
    }

    @Test
    void groupsAreRawRows() throws Exception {
        devices(4);
        RawQueryResponse rows = queries.queryRaw(
                "SELECT tags.site AS site, COUNT() AS n FROM devices WHERE tags.site = '" + site + "' GROUP BY tags.site");
        assertEquals("{\"site\":\"" + site + "\",\"n\":4}", rows.next().replace(".0", ""));
    }
}
