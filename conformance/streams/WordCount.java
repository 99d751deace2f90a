import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KeyValueMapper;

/**
 * Kafka Streams as a worker of the conformance suite (README.md says what it prints): counts the words, which dashes
 * part, of the values of one topic, and writes every new count to another.
 */
public final class WordCount {
    public static void main(String[] args) {
        Map<String, String> options = new HashMap<>();
        for (String word : args) {
            String[] pair = word.split("=", 2);
            options.put(pair[0], pair[1]);
        }
        Properties config = new Properties();
        config.put("bootstrap.servers", options.get("bootstrap"));
        config.put("application.id", options.get("group"));
        config.put("client.id", options.get("client"));
        config.put("state.dir", options.get("state"));
        config.put("group.protocol", options.get("protocol"));
        config.put("processing.guarantee", "exactly_once_v2");
        config.put("num.stream.threads", "2");
        config.put("statestore.cache.max.bytes", "0"); // every count is written, so one too many is seen
        config.put("consumer.auto.offset.reset", "earliest");
        config.put("producer.transaction.timeout.ms", "10000");
        if (options.get("protocol").equals("classic")) {
            config.put("consumer.session.timeout.ms", "6000");
            config.put("consumer.heartbeat.interval.ms", "1000");
        }
        config.put("default.key.serde", Serdes.StringSerde.class);
        config.put("default.value.serde", Serdes.StringSerde.class);

        StreamsBuilder builder = new StreamsBuilder();
        KeyValueMapper<String, String, String> word = (key, value) -> value;
        builder.<String, String>stream(options.get("topic"))
                .flatMapValues(value -> List.of(value.split("-")))
                .groupBy(word, Grouped.as("words"))
                .count()
                .toStream()
                .mapValues(String::valueOf)
                .to(options.get("to"));
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.setUncaughtExceptionHandler(error -> {
            System.out.println("broke " + error);
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.start();
    }
}
