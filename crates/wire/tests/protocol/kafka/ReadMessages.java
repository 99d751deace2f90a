// Reads messages with Apache Kafka's own classes and writes what they hold. See README.md.
import java.io.*;
import java.lang.reflect.*;
import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.record.internal.MemoryRecords;

public class ReadMessages {
    static final String[] PLACES = {
        "org.apache.kafka.common.message.%sData", "org.apache.kafka.common.message.%s",
        "org.apache.kafka.coordinator.group.generated.%s",
        "org.apache.kafka.coordinator.share.generated.%s",
        "org.apache.kafka.coordinator.transaction.generated.%s", "org.apache.kafka.common.metadata.%s" };

    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        int read = 0;
        for (String line; (line = lines.readLine()) != null; read++) {
            String[] parts = line.split(" ");
            String name = parts[0];
            short version = Short.parseShort(parts[1]);
            byte[] bytes = HexFormat.of().parseHex(parts.length > 2 ? parts[2] : "");
            ByteBufferAccessor in = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
            Message message = (Message) type(name).getConstructor(org.apache.kafka.common.protocol.Readable.class, short.class).newInstance(in, version);
            if (in.remaining() != 0) throw new IOException(name + " v" + version + ": " + in.remaining() + " bytes left");
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBufferAccessor out = new ByteBufferAccessor(ByteBuffer.allocate(message.size(cache, version)));
            message.write(out, cache, version);
            if (!Arrays.equals(out.buffer().array(), bytes))
                throw new IOException(name + " v" + version + " is written otherwise:\n" + parts[2] + "\n" + HexFormat.of().formatHex(out.buffer().array()));
            System.out.println(line + " " + show(message));
        }
        System.err.println(read + " messages");
    }

    static Class<?> type(String name) throws ClassNotFoundException {
        for (String place : PLACES)
            try { return Class.forName(String.format(place, name)); } catch (ClassNotFoundException e) { }
        throw new ClassNotFoundException(name);
    }

    static String quoted(String text) { return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"'; }

    static String show(Object value) throws Exception {
        if (value == null) return "None";
        if (value instanceof String s) return quoted(s);
        if (value instanceof byte[] b) return bytes(ByteBuffer.wrap(b));
        if (value instanceof ByteBuffer b) return bytes(b);
        if (value instanceof MemoryRecords r) return bytes(r.buffer());
        if (value instanceof Number || value instanceof Boolean || value instanceof Uuid) return value.toString();
        StringJoiner parts;
        if (value instanceof Collection<?> all) {
            parts = new StringJoiner(", ", "[", "]");
            for (Object one : all) parts.add(show(one));
            return parts.toString();
        }
        parts = new StringJoiner(", ", "S {", "}");
        for (Field field : value.getClass().getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) || field.getName().startsWith("_") || field.getName().matches("next|prev")) continue;
            field.setAccessible(true);
            parts.add(field.getName() + ": " + show(field.get(value)));
        }
        return parts.length() == 4 ? value.getClass().getSimpleName() : parts.toString();
    }

    static String bytes(ByteBuffer b) {
        StringBuilder text = new StringBuilder("hex\"");
        for (ByteBuffer d = b.duplicate(); d.hasRemaining(); ) text.append(String.format("%02x", d.get()));
        return text.append('"').toString();
    }
}
