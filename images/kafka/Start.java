import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Formats Kafka's storage when it is new and serves, in one JVM (two cost a second more), configured
 * by the environment as the public apache/kafka image is: KAFKA_A_B=v means a.b=v, two underscores
 * mean one, three mean a dash.
 */
public final class Start {
    private static final String PREFIX = "KAFKA_";
    private static final Set<String> NOT_PROPERTIES = Set.of(
            "KAFKA_HEAP_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_OPTS", "KAFKA_GC_LOG_OPTS", "KAFKA_LOG4J_OPTS",
            "KAFKA_JMX_OPTS", "KAFKA_VERSION");
    private static final String DEFAULT_CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw";

    private Start() {}

    public static void main(String[] args) throws IOException {
        Map<String, String> properties = properties(System.getenv());
        Path file = Files.createTempDirectory("kafka-").resolve("server.properties");
        List<String> lines = new ArrayList<>();
        properties.forEach((key, value) -> lines.add(key + "=" + value.replace("\\", "\\\\")));
        Files.write(file, lines);
        if (!formatted(properties)) {
            format(properties, file);
        }
        kafka.Kafka.main(new String[] {file.toString()});
    }

    static Map<String, String> properties(Map<String, String> environment) {
        Map<String, String> properties = new TreeMap<>(Map.of(
                "process.roles", "broker,controller",
                "node.id", "1",
                "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093",
                "controller.listener.names", "CONTROLLER",
                "listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
                "log.dirs", "/tmp/kraft-combined-logs",
                "offsets.topic.replication.factor", "1",
                "transaction.state.log.replication.factor", "1",
                "transaction.state.log.min.isr", "1"));
        // For a small broker: these change sizes, never what clients see.
        properties.put("share.coordinator.state.topic.replication.factor", "1");
        properties.put("share.coordinator.state.topic.min.isr", "1");
        properties.put("num.network.threads", "2");
        properties.put("num.io.threads", "2");
        properties.put("log.cleaner.dedupe.buffer.size", "2097152");
        environment.forEach((name, value) -> {
            if (name.startsWith(PREFIX) && !NOT_PROPERTIES.contains(name)) {
                properties.put(propertyName(name), value);
            }
        });
        if (!properties.containsKey("controller.quorum.voters")) {
            properties.putIfAbsent("controller.quorum.bootstrap.servers", "localhost:9093");
        }
        return properties;
    }

    static String propertyName(String name) {
        return name.substring(PREFIX.length())
                .toLowerCase(Locale.ROOT)
                .replace("___", "-")
                .replace("__", "\0")
                .replace('_', '.')
                .replace('\0', '_');
    }

    private static boolean formatted(Map<String, String> properties) {
        String folders = properties.getOrDefault("log.dirs", properties.get("log.dir"));
        for (String folder : folders.split(",")) {
            if (!Files.exists(Path.of(folder.trim(), "meta.properties"))) {
                return false;
            }
        }
        return true;
    }

    private static void format(Map<String, String> properties, Path file) {
        String cluster = System.getenv().getOrDefault("CLUSTER_ID", DEFAULT_CLUSTER_ID);
        List<String> words = new ArrayList<>(List.of("format", "--ignore-formatted", "-t", cluster, "-c", file.toString()));
        if (!properties.containsKey("controller.quorum.voters")) {
            words.add("--standalone");
        }
        int code = kafka.tools.StorageTool.execute(words.toArray(String[]::new), System.out);
        if (code != 0) {
            System.err.println("kafka: formatting the storage failed: check log.dirs and CLUSTER_ID");
            System.exit(code);
        }
    }
}
