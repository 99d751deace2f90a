// Makes the record batches of this folder with Apache Kafka's own code. See README.md.
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.record.internal.Record;

public class MakeBatches {
    static final long T = 1_700_000_000_000L;
    static final int COUNT = 100;
    static Path dir;

    static byte[] b(String s) { return s == null ? null : s.getBytes(StandardCharsets.UTF_8); }

    static MemoryRecordsBuilder builder(Compression c, TimestampType type, long base, long pid, short epoch,
                                        int sequence, boolean txn, boolean control, int leaderEpoch) {
        return new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), RecordBatch.MAGIC_VALUE_V2, c, type, base,
            T + 5000, pid, epoch, sequence, txn, control, leaderEpoch, 1 << 16);
    }

    static void odds(MemoryRecordsBuilder m) {
        m.append(T, b("key"), b("value"));
        m.append(T + 7, (byte[]) null, b("no key"));
        m.append(T - 300, b("tombstone"), (byte[]) null);
        m.append(T + 9, b(""), b(""), new Header[] {
            new RecordHeader("trace", b("abc")), new RecordHeader("trace", (byte[]) null), new RecordHeader("", b("")) });
        m.append(T + 8, b("gr\u00fc\u00dfe"), b("x".repeat(300)));
    }

    static void many(MemoryRecordsBuilder m) {
        for (int i = 0; i < COUNT; i++)
            m.append(T + i, b("key-" + i % 7), b(("value " + i * 7919 + " ").repeat(100)));
    }

    static void write(String name, ByteBuffer bytes) throws IOException {
        byte[] raw = new byte[bytes.remaining()];
        bytes.duplicate().get(raw);
        Files.write(dir.resolve(name + ".bin"), raw);
        StringBuilder text = new StringBuilder();
        for (RecordBatch batch : MemoryRecords.readableRecords(bytes).batches()) {
            batch.ensureValid();
            text.append(String.format("batch %d..%d epoch %d codec %s time %s max %d producer %d/%d/%d transactional %b control %b horizon %s count %d%n",
                batch.baseOffset(), batch.lastOffset(), batch.partitionLeaderEpoch(), batch.compressionType().name,
                batch.timestampType().name, batch.maxTimestamp(), batch.producerId(), batch.producerEpoch(),
                batch.baseSequence(), batch.isTransactional(), batch.isControlBatch(),
                batch.deleteHorizonMs().isPresent() ? "" + batch.deleteHorizonMs().getAsLong() : "none", batch.countOrNull()));
            for (Record r : batch) {
                text.append(r.offset()).append(' ').append(r.timestamp()).append(' ').append(hex(r.key())).append(' ').append(hex(r.value()));
                for (Header h : r.headers())
                    text.append(' ').append(hex(ByteBuffer.wrap(b(h.key())))).append('=')
                        .append(hex(h.value() == null ? null : ByteBuffer.wrap(h.value())));
                text.append('\n');
            }
        }
        Files.writeString(dir.resolve(name + ".txt"), text.toString());
    }

    static String hex(ByteBuffer bytes) {
        if (bytes == null) return "null";
        byte[] raw = new byte[bytes.remaining()];
        bytes.duplicate().get(raw);
        if (raw.length <= 32) return raw.length == 0 ? "empty" : HexFormat.of().formatHex(raw);
        java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
        crc.update(raw);
        return raw.length + ":" + Long.toHexString(crc.getValue());
    }

    static void simple(String name, Compression c, boolean many) throws IOException {
        MemoryRecordsBuilder m = builder(c, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, false, -1);
        if (many) many(m); else odds(m);
        write(name, m.build().buffer());
    }

    public static void main(String[] args) throws Exception {
        dir = Path.of(args[0]);
        if (args.length > 1) { dump(args); return; }
        simple("none", Compression.NONE, false);
        simple("gzip", Compression.gzip().build(), true);
        simple("snappy", Compression.snappy().build(), true);
        simple("lz4", Compression.lz4().build(), true);
        simple("zstd", Compression.zstd().build(), true);
        snappyRaw();

        MemoryRecordsBuilder t = builder(Compression.NONE, TimestampType.CREATE_TIME, 0, 4711, (short) 3, 17, true, false, -1);
        odds(t);
        write("transactional", t.build().buffer());

        MemoryRecordsBuilder l = builder(Compression.zstd().build(), TimestampType.LOG_APPEND_TIME, 1000, -1, (short) -1, -1, false, false, 6);
        odds(l);
        write("log-append-time", l.build().buffer());

        write("commit-marker", MemoryRecords.withEndTransactionMarker(5_000_000_000L, T, 9, 4711, (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 12)).buffer());
        write("abort-marker", MemoryRecords.withEndTransactionMarker(42, T, 0, 4711, (short) 3,
            new EndTransactionMarker(ControlRecordType.ABORT, 13)).buffer());

        // As compaction leaves batches: gaps, a delete horizon, no records at all.
        MemoryRecordsBuilder h = new MemoryRecordsBuilder(new org.apache.kafka.common.utils.ByteBufferOutputStream(1 << 16), RecordBatch.MAGIC_VALUE_V2, Compression.NONE,
            TimestampType.CREATE_TIME, 100, -1, -1, (short) -1, -1, false, false, 2, 1 << 16, T + 86_400_000L);
        h.appendWithOffset(103, T + 1, b("a"), null);
        h.appendWithOffset(109, T + 2, b("b"), b("kept"));
        h.overrideLastOffset(120);
        write("compacted", h.build().buffer());
        ByteBuffer empty = ByteBuffer.allocate(61);
        DefaultRecordBatch.writeEmptyHeader(empty, (byte) 2, 4711, (short) 3, 20, 200, 210, 2, TimestampType.CREATE_TIME, T, true, false);
        empty.flip();
        write("empty", empty);
    }

    /** The payload as librdkafka and the Go clients write it: one snappy block without framing. */
    static void snappyRaw() throws IOException {
        MemoryRecordsBuilder m = builder(Compression.NONE, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, false, -1);
        many(m);
        ByteBuffer plain = m.build().buffer();
        byte[] records = new byte[plain.remaining() - 61];
        plain.duplicate().position(plain.position() + 61).get(records);
        byte[] packed = org.xerial.snappy.Snappy.compress(records);
        ByteBuffer out = ByteBuffer.allocate(61 + packed.length);
        out.position(61);
        out.put(packed);
        out.position(0);
        DefaultRecordBatch.writeHeader(out, 0, COUNT - 1, 61 + packed.length, (byte) 2, CompressionType.SNAPPY,
            TimestampType.CREATE_TIME, T, T + COUNT - 1, -1, (short) -1, -1, false, false, false, -1, COUNT);
        out.position(0);
        write("snappy-raw", out);
    }

    /** Writes the .txt for batches that others made: MakeBatches DIR NAME... */
    static void dump(String[] args) throws IOException {
        for (int i = 1; i < args.length; i++)
            write(args[i], ByteBuffer.wrap(Files.readAllBytes(dir.resolve(args[i] + ".bin"))));
    }
}
