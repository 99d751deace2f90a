// Go's franz-go as a worker of the conformance suite (README.md says what it reads and prints).
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var out sync.Mutex

func say(words ...any) {
	out.Lock()
	defer out.Unlock()
	fmt.Println(words...)
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(options map[string]string) {
	codecs := map[string]kgo.CompressionCodec{
		"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(options["bootstrap"]),
		kgo.DefaultProduceTopic(options["topic"]),
		kgo.ProducerBatchCompression(codecs[options["codec"]]),
	)
	fatal(err)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), " ")
		client.Produce(context.Background(), kgo.KeyStringRecord(key, value), func(r *kgo.Record, err error) {
			if err != nil {
				say("failed", key, err)
			} else {
				say("produced", r.Topic, r.Partition, r.Offset, key)
			}
		})
	}
	fatal(client.Flush(context.Background()))
	client.Close()
}

func partitions(of []int32) string {
	if len(of) == 0 {
		return "-"
	}
	slices.Sort(of)
	words := make([]string, len(of))
	for i, p := range of {
		words[i] = strconv.Itoa(int(p))
	}
	return strings.Join(words, ",")
}

func consume(options map[string]string) {
	topic := options["topic"]
	session := 6 * time.Second
	if ms, err := strconv.Atoi(options["session"]); err == nil {
		session = time.Duration(ms) * time.Millisecond
	}
	revoked := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		say("revoked", topic, partitions(lost[topic]))
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(options["bootstrap"]),
		kgo.ClientID(options["client"]),
		kgo.ConsumerGroup(options["group"]),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(time.Second),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			say("assigned", topic, partitions(added[topic]))
		}),
		kgo.OnPartitionsRevoked(revoked),
		kgo.OnPartitionsLost(revoked),
	)
	fatal(err)
	reading, stop := context.WithCancel(context.Background())
	go func() {
		for reading.Err() == nil {
			fetches := client.PollFetches(reading)
			fetches.EachError(func(_ string, _ int32, err error) { fmt.Fprintln(os.Stderr, err) })
			fetches.EachRecord(func(r *kgo.Record) {
				say("got", r.Topic, r.Partition, r.Offset, string(r.Key), string(r.Value))
			})
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan() && lines.Text() != "quit"; {
		offsets := client.UncommittedOffsets()
		if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
			say("error", err)
			continue
		}
		for partition, at := range offsets[topic] {
			say("committed", topic, partition, at.Offset)
		}
		say("ok")
	}
	stop()
	client.Close()
}

func main() {
	options := map[string]string{}
	for _, word := range os.Args[2:] {
		name, value, _ := strings.Cut(word, "=")
		options[name] = value
	}
	map[string]func(map[string]string){"produce": produce, "consume": consume}[os.Args[1]](options)
}
