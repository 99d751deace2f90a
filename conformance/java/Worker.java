import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Apache Kafka's Java client as a worker of the conformance suite (README.md says what it reads and prints). */
public final class Worker {
    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (String word : List.of(args).subList(1, args.length)) {
            String[] pair = word.split("=", 2);
            options.put(pair[0], pair[1]);
        }
        if (args[0].equals("produce")) {
            produce(options);
        } else if (args[0].equals("transform")) {
            while (true) {
                transform(options);
            }
        } else if (args[0].equals("share")) {
            share(options);
        } else {
            consume(options);
        }
    }

    /** A member of a share group: says what it took, and what it has given back as done. */
    private static void share(Map<String, String> options) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", options.get("bootstrap"));
        config.put("group.id", options.get("group"));
        config.put("client.id", options.get("client"));
        config.put("share.acknowledgement.mode", "explicit");
        config.put("max.poll.records", "20");
        try (Admin admin = Admin.create(config)) {
            var group = new ConfigResource(ConfigResource.Type.GROUP, options.get("group"));
            var set = List.of(
                    new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), OpType.SET),
                    new AlterConfigOp(new ConfigEntry("share.record.lock.duration.ms", "15000"), OpType.SET));
            admin.incrementalAlterConfigs(Map.of(group, set)).all().get();
        }
        try (var consumer = new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(options.get("topic")));
            while (true) {
                var records = consumer.poll(Duration.ofMillis(200));
                for (ConsumerRecord<String, String> got : records) {
                    say("took", got.key());
                }
                Thread.sleep(20);
                for (ConsumerRecord<String, String> got : records) {
                    consumer.acknowledge(got, AcknowledgeType.ACCEPT);
                }
                boolean done = consumer.commitSync().values().stream().allMatch(Optional::isEmpty);
                for (ConsumerRecord<String, String> got : records) {
                    say(done ? "done" : "unsure", got.key());
                }
            }
        }
    }

    /** One life; whatever a broken transaction left is aborted by the next one's beginning. */
    private static void transform(Map<String, String> options) {
        Properties writes = new Properties();
        writes.put("bootstrap.servers", options.get("bootstrap"));
        writes.put("transactional.id", options.get("group") + "-mover");
        writes.put("transaction.timeout.ms", "10000");
        Properties reads = new Properties();
        reads.put("bootstrap.servers", options.get("bootstrap"));
        reads.put("group.id", options.get("group"));
        reads.put("client.id", options.get("client"));
        reads.put("group.instance.id", "mover"); // whoever comes after a kill takes over at once
        reads.put("session.timeout.ms", "6000");
        reads.put("heartbeat.interval.ms", "1000");
        reads.put("auto.offset.reset", "earliest");
        reads.put("enable.auto.commit", "false");
        reads.put("isolation.level", "read_committed");
        reads.put("max.poll.records", "20");
        try (var producer = new KafkaProducer<>(writes, new StringSerializer(), new StringSerializer());
                var consumer = new KafkaConsumer<>(reads, new StringDeserializer(), new StringDeserializer())) {
            producer.initTransactions();
            consumer.subscribe(List.of(options.get("topic")));
            while (true) {
                var records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
                for (ConsumerRecord<String, String> got : records) {
                    producer.send(new ProducerRecord<>(options.get("to"), got.key(), got.value()));
                    ends.put(new TopicPartition(got.topic(), got.partition()), new OffsetAndMetadata(got.offset() + 1));
                }
                producer.sendOffsetsToTransaction(ends, consumer.groupMetadata());
                producer.commitTransaction();
                say("moved", records.count());
            }
        } catch (KafkaException error) {
            say("broke", error);
        }
    }

    private static synchronized void say(Object... words) {
        System.out.println(List.of(words).stream().map(String::valueOf).collect(Collectors.joining(" ")));
    }

    private static void produce(Map<String, String> options) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", options.get("bootstrap"));
        config.put("compression.type", options.getOrDefault("codec", "none"));
        config.put("enable.idempotence", options.getOrDefault("idempotent", "true"));
        config.put("acks", "all");
        config.put("linger.ms", "5");
        String topic = options.get("topic");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                String[] pair = line.split(" ");
                producer.send(new ProducerRecord<>(topic, pair[0], pair[1]), (at, error) -> {
                    if (error == null) {
                        say("produced", topic, at.partition(), at.offset(), pair[0]);
                    } else {
                        say("failed", pair[0], error);
                    }
                });
            }
        }
    }

    private static void consume(Map<String, String> options) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", options.get("bootstrap"));
        config.put("group.id", options.get("group"));
        config.put("client.id", options.get("client"));
        if ("consumer".equals(options.get("protocol"))) {
            config.put("group.protocol", "consumer");
        } else {
            config.put("session.timeout.ms", options.getOrDefault("session", "6000"));
            config.put("heartbeat.interval.ms", "1000");
        }
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        if (options.containsKey("instance")) {
            config.put("group.instance.id", options.get("instance"));
        }
        if ("cooperative-sticky".equals(options.get("assignor"))) {
            config.put("partition.assignment.strategy",
                    "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        }
        LinkedBlockingQueue<String> commands = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> {
            new BufferedReader(new InputStreamReader(System.in)).lines().forEach(commands::add);
            commands.add("quit");
        });
        reader.setDaemon(true);
        reader.start();
        String topic = options.get("topic");
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
            consumer.subscribe(List.of(topic), listener(topic, positions));
            for (String command = ""; !command.equals("quit"); command = commands.isEmpty() ? "" : commands.take()) {
                if (command.equals("commit")) {
                    commit(consumer, topic, positions);
                }
                for (ConsumerRecord<String, String> got : consumer.poll(Duration.ofMillis(100))) {
                    positions.put(new TopicPartition(topic, got.partition()), new OffsetAndMetadata(got.offset() + 1));
                    say("got", topic, got.partition(), got.offset(), got.key(), got.value());
                }
            }
        }
    }

    private static void commit(KafkaConsumer<?, ?> consumer, String topic, Map<TopicPartition, OffsetAndMetadata> positions) {
        try {
            consumer.commitSync(positions);
            positions.forEach((at, offset) -> say("committed", topic, at.partition(), offset.offset()));
            say("ok");
        } catch (KafkaException error) {
            say("error", error);
        }
    }

    private static ConsumerRebalanceListener listener(String topic, Map<TopicPartition, OffsetAndMetadata> positions) {
        return new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                say("assigned", topic, numbers(partitions));
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                positions.keySet().removeAll(partitions);
                say("revoked", topic, numbers(partitions));
            }
        };
    }

    private static String numbers(Collection<TopicPartition> partitions) {
        return partitions.isEmpty() ? "-"
                : partitions.stream().map(p -> String.valueOf(p.partition())).collect(Collectors.joining(","));
    }
}
