// azeventhubs, which stands on go-amqp: the event stream as a Go service reads and writes it; and go-amqp alone, as a device.
package sdk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs"
	"github.com/Azure/go-amqp"
)

var (
	events = os.Getenv("EVENTS_CS")
	hub    = parts(os.Getenv("HUB_CS"))
	host   = hub["HostName"]
)

func parts(text string) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split(text, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			found[name] = value
		}
	}
	return found
}

func trust(t *testing.T) *tls.Config {
	pem, err := os.ReadFile(os.Getenv("HUB_CA"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool}
}

func token(resource, key, policy string) string {
	raw, _ := base64.StdEncoding.DecodeString(key)
	expiry := time.Now().Add(time.Hour).Unix()
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s\n%d", url.QueryEscape(resource), expiry)
	text := fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d", url.QueryEscape(resource),
		url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))), expiry)
	if policy != "" {
		text += "&skn=" + policy
	}
	return text
}

// A new device: its id and key.
func device(t *testing.T) (string, string) {
	id := fmt.Sprintf("go-%d", time.Now().UnixNano())
	body := fmt.Sprintf(`{"deviceId":%q}`, id)
	request, _ := http.NewRequest("PUT", "https://"+host+"/devices/"+id+"?api-version=2021-04-12", strings.NewReader(body))
	request.Header.Set("Authorization", token(host, hub["SharedAccessKey"], hub["SharedAccessKeyName"]))
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trust(t)}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var made struct {
		Authentication struct{ SymmetricKey struct{ PrimaryKey string } }
	}
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil || response.StatusCode != 200 {
		t.Fatal(response.Status, err)
	}
	return id, made.Authentication.SymmetricKey.PrimaryKey
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Telemetry of a device by go-amqp with SASL PLAIN.
func send(t *testing.T, count int) string {
	ctx := within(t)
	id, key := device(t)
	conn, err := amqp.Dial(ctx, "amqps://"+host+":5671", &amqp.ConnOptions{
		TLSConfig: trust(t), SASLType: amqp.SASLTypePlain(id+"@sas."+host, token(host+"/devices/"+id, key, ""))})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := session.NewSender(ctx, "/devices/"+id+"/messages/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < count; i++ {
		message := amqp.NewMessage([]byte(fmt.Sprint(i)))
		message.ApplicationProperties = map[string]any{"n": int64(i)}
		if err := sender.Send(ctx, message, nil); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func consumer(t *testing.T) *azeventhubs.ConsumerClient {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(events, "", azeventhubs.DefaultConsumerGroup,
		&azeventhubs.ConsumerClientOptions{TLSConfig: trust(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(context.Background()) })
	return client
}

func TestADevicesEventsAreReadInOrder(t *testing.T) {
	id, ctx, client := send(t, 5), within(t), consumer(t)
	properties, err := client.GetEventHubProperties(ctx, nil)
	if err != nil || len(properties.PartitionIDs) != 4 {
		t.Fatal(properties, err)
	}
	earliest := true
	var got []string
	for _, partition := range properties.PartitionIDs {
		reader, err := client.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{
			StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		for {
			batch, err := reader.ReceiveEvents(short, 100, nil)
			for _, event := range batch {
				if event.SystemProperties["iothub-connection-device-id"] == id {
					got = append(got, string(event.Body))
				}
			}
			if err != nil {
				break
			}
		}
		cancel()
		reader.Close(ctx)
	}
	if strings.Join(got, "") != "01234" {
		t.Fatal(got)
	}
}

func TestBatchesOfAProducerAreTaken(t *testing.T) {
	ctx := within(t)
	client, err := azeventhubs.NewProducerClientFromConnectionString(events, "", &azeventhubs.ProducerClientOptions{TLSConfig: trust(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(ctx)
	batch, err := client.NewEventDataBatch(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 3; i++ {
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("produced")}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.SendEventDataBatch(ctx, batch, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAPartitionIsDescribed(t *testing.T) {
	properties, err := consumer(t).GetPartitionProperties(within(t), "0", nil)
	if err != nil || properties.PartitionID != "0" {
		t.Fatal(properties, err)
	}
}

func TestAnUnknownConsumerGroupIsRefusedWithAReason(t *testing.T) {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(events, "", "nobody",
		&azeventhubs.ConsumerClientOptions{TLSConfig: trust(t), RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	reader, err := client.NewPartitionClient("0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = reader.ReceiveEvents(within(t), 1, nil); err == nil || !strings.Contains(err.Error(), "not-found") {
		t.Fatal(err)
	}
}
