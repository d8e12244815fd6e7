"""One Apache Cassandra node of a test's own: the jars of Maven Central, started on loopback in a directory.

The jars are fetched once into the user's cache. Settings are for a quick start and little memory: one token, no
gossip to wait for, 256 MB, the first compiler only.
"""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

from appliance.runtime.tls import client_tls
from tests.support.certificates import make_certificate

VERSION = "5.0.8"
DATA_CENTRE = "dc1"
USER = "cassandra"
_START_S = 90.0
_STOP_S = 20.0
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>nearcast</groupId><artifactId>cassandra-of-tests</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""
_OPENS = (
    "--add-exports java.base/jdk.internal.misc --add-exports java.base/java.lang.ref"
    " --add-exports java.management.rmi/com.sun.jmx.remote.internal.rmi --add-exports java.rmi/sun.rmi.registry"
    " --add-exports java.rmi/sun.rmi.server --add-exports java.sql/java.sql --add-exports jdk.unsupported/sun.misc"
    " --add-exports jdk.compiler/com.sun.tools.javac.file --add-exports jdk.attach/sun.tools.attach"
    " --add-opens java.base/java.lang.module --add-opens java.base/jdk.internal.loader"
    " --add-opens java.base/jdk.internal.ref --add-opens java.base/jdk.internal.reflect"
    " --add-opens java.base/jdk.internal.math --add-opens java.base/jdk.internal.module"
    " --add-opens java.base/jdk.internal.util.jar --add-opens jdk.management/com.sun.management.internal"
    " --add-opens java.base/sun.nio.ch --add-opens java.base/java.io --add-opens java.base/java.lang.reflect"
    " --add-opens java.base/java.lang --add-opens java.base/java.util --add-opens java.base/java.util.concurrent"
    " --add-opens java.base/java.util.concurrent.atomic --add-opens java.base/java.nio"
    " --add-opens jdk.compiler/com.sun.tools.javac"
)
_PROPERTIES = {
    "java.net.preferIPv4Stack": "true",
    "java.awt.headless": "true",
    "jdk.attach.allowAttachSelf": "true",
    "io.netty.tryReflectionSetAccessible": "true",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.ring_delay_ms": "1000",
    "cassandra.load_ring_state": "false",
    "cassandra.superuser_setup_delay_ms": "0",
}
_LOGBACK = """<configuration>
  <appender name="FILE" class="ch.qos.logback.core.FileAppender">
    <file>${cassandra.logdir}/system.log</file>
    <encoder><pattern>%-5level %d{HH:mm:ss.SSS} [%thread] %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
"""


class CassandraNode:
    """A node in `home`. Its data outlive `kill` and `stop`; `start` begins on them anew, on the same port.

    It speaks TLS as well, with the certificate `authority`. `guarded`: it speaks nothing else, with clients that
    show the certificate `client`; and it knows one user, USER with the same word as password, and refuses others.
    """

    def __init__(self, home: Path, *, guarded: bool = False) -> None:
        self.home = home
        self._guarded = guarded
        self.address = "127.0.0.1"
        self.port, self._storage, self._jmx = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        (home / "tls").mkdir(parents=True, exist_ok=True)
        self.authority = make_certificate(home / "tls" / "node.pem", self.address)
        self.client = make_certificate(home / "tls" / "client.pem", self.address)
        self._write_configuration()

    def start(self) -> float:
        """Returns when CQL is spoken; the seconds it took."""
        began = time.monotonic()
        self.launch()
        self.wait()
        return time.monotonic() - began

    def launch(self) -> None:
        """Starts the process without waiting for it."""
        jars = _jars()
        properties = _PROPERTIES | {
            "cassandra.config": f"file://{self.home}/conf/cassandra.yaml",
            "cassandra.storagedir": f"{self.home}/data",
            "cassandra.logdir": f"{self.home}/log",
            "logback.configurationFile": f"{self.home}/conf/logback.xml",
            "cassandra.jmx.local.port": str(self._jmx),
        }
        options = [word if word.startswith("--") else f"{word}=ALL-UNNAMED" for word in _OPENS.split()]
        memory = "-Xms256m -Xmx256m -Xss512k -XX:MaxDirectMemorySize=256m -XX:MaxMetaspaceSize=192m"
        speed = (
            "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=96m -XX:-UsePerfData -Xshare:auto"
        )
        with (self.home / "log" / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _java(),
                    f"-javaagent:{next(jars.glob('jamm-*.jar'))}",
                    *memory.split(),
                    *speed.split(),
                    "-XX:+ExitOnOutOfMemoryError",
                    *(f"-D{name}={value}" for name, value in properties.items()),
                    *options,
                    "-cp",
                    f"{self.home}/conf:{jars}/*",
                    "org.apache.cassandra.service.CassandraDaemon",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until CQL is spoken; AssertionError with the end of the logs when that does not come."""
        until = time.monotonic() + _START_S
        while not self._speaks():
            assert self._process is not None
            assert self._process.poll() is None, f"Cassandra ended:\n{self.logs()}"
            assert time.monotonic() < until, f"Cassandra does not start:\n{self.logs()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Its sockets stay open and nothing answers, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, what: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(what)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        self._process = None

    def logs(self) -> str:
        """The last lines of both."""
        texts = [file.read_text(errors="replace")[-4000:] for file in sorted((self.home / "log").glob("*.log"))]
        return "\n".join(texts)

    def _speaks(self) -> bool:
        """Whether OPTIONS is answered by SUPPORTED (native protocol, version 4)."""
        with contextlib.suppress(OSError), self._connected() as connection:
            connection.sendall(bytes([4, 0, 0, 0, 5, 0, 0, 0, 0]))
            answer = connection.recv(9)
            return len(answer) == 9 and answer[4] == 6
        return False

    def tls(self) -> ssl.SSLContext | None:
        """What a client has to speak."""
        return client_tls(str(self.authority), str(self.client), str(self.client)) if self._guarded else None

    def _connected(self) -> socket.socket:
        connection = socket.create_connection((self.address, self.port), 2)
        tls = self.tls()
        return connection if tls is None else tls.wrap_socket(connection, server_hostname=self.address)

    def _write_configuration(self) -> None:
        for name in ("conf", "data", "log"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        settings = {
            "cluster_name": "tests",
            "num_tokens": 1,
            "initial_token": 0,
            "auto_bootstrap": "false",
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "GossipingPropertyFileSnitch",
            "seed_provider": "[{class_name: org.apache.cassandra.locator.SimpleSeedProvider,"
            f' parameters: [{{seeds: "{self.address}:{self._storage}"}}]}}]',
            "listen_address": self.address,
            "rpc_address": self.address,
            "storage_port": self._storage,
            "native_transport_port": self.port,
            "commitlog_sync": "batch",  # periodic: a killed node may lose what it acknowledged in the last 0.1 s
            "commitlog_segment_size": "16MiB",
            "commitlog_total_space": "256MiB",
            "memtable_heap_space": "64MiB",
            "memtable_offheap_space": "64MiB",
            "memtable_allocation_type": "offheap_buffers",
            "key_cache_size": "8MiB",
            "file_cache_size": "32MiB",
            "networking_cache_size": "16MiB",
            "concurrent_reads": 8,
            "concurrent_writes": 32,
            "concurrent_counter_writes": 4,
            "concurrent_compactors": 1,
            "native_transport_max_threads": 16,
            "disk_failure_policy": "stop",
            "commit_failure_policy": "stop",
            "dynamic_snitch": "false",
        }
        settings["client_encryption_options"] = self._encryption()
        if self._guarded:
            settings |= {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}
        lines = [f"{name}: {value}\n" for name, value in settings.items()]
        (self.home / "conf" / "cassandra.yaml").write_text("".join(lines))
        (self.home / "conf" / "cassandra-rackdc.properties").write_text(f"dc={DATA_CENTRE}\nrack=r1\n")
        (self.home / "conf" / "logback.xml").write_text(_LOGBACK)

    def _encryption(self) -> str:
        files = {"keystore": self.authority, "truststore": self.client}
        stores = ", ".join(f'{name}: "{path}"' for name, path in files.items())
        factory = "{class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}"
        asks = str(self._guarded).lower()
        return (
            f"{{enabled: true, optional: {str(not self._guarded).lower()}, ssl_context_factory: {factory},"
            f" require_client_auth: {asks}, {stores}}}"
        )


def _java() -> str:
    """Java 17: Cassandra refuses others."""
    found = sorted(Path("/usr/lib/jvm").glob("java-17-openjdk-*/bin/java"))
    return str(found[0]) if found else "java"


def _jars() -> Path:
    """The folder of the jars, filled once; filled beside it and renamed, so that two runs may do so at once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nearcast" / f"cassandra-{VERSION}"
    if cache.exists():
        return cache
    fresh = cache.with_name(f"{cache.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    (fresh / "pom.xml").write_text(_POM)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
    subprocess.run(["mvn", "-B", "-q", "-ntp", "-f", str(fresh / "pom.xml"), *goal], check=True)
    try:
        fresh.rename(cache)
    except OSError:
        shutil.rmtree(fresh)
    return cache


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
