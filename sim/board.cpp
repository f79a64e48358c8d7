// A board on the desk: the Verilated top level of a board behind a pseudo-terminal.
//
//   board LINK SEED QUIET LATENCY [KIND=RATE ...]
//
// The path LINK becomes a symbolic link to the terminal, which any program can open as a serial
// port. Prints "ready" when it is there. Ends when stdin does, or by SIGINT or SIGTERM, and prints
// what has crossed the line, and how many faults there were, as JSON.
//
// The bits of the line are real: DIVISOR cycles each. After QUIET cycles without any and without a
// step, which the light number STEP shows, the clock stands still until the host sends something. LATENCY is that of a USB adapter, in cycles; 0 for
// none. Faults strike a byte of either direction with the probability RATE, for each KIND.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "Vegru.h"
#include "verilated.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int slice = 1024;           // cycles between looks at the terminal
constexpr size_t adapter_bytes = 62;  // that a USB adapter sends at once, whatever its latency
constexpr size_t buffer = 4096;       // bytes read ahead of the line
constexpr double shortest = 1e-5, longest = 0.3;  // seconds of a delay or a silence

[[noreturn]] void fail(const std::string& what) {
  std::perror(what.c_str());
  std::exit(2);
}

// The pseudo-terminal, and the link to it.
class Terminal {
 public:
  explicit Terminal(const char* link) : link(link) { plug(); }
  ~Terminal() { unplug(); }

  void plug() {
    master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master)) fail("pseudo-terminal");
    // Open on our side, too, so that the terminal stays as it is while no host has it open.
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) fail(ptsname(master));
    termios settings;
    tcgetattr(slave, &settings);
    cfmakeraw(&settings);
    tcsetattr(slave, TCSANOW, &settings);
    const std::string fresh = std::string(link) + ".new";
    unlink(fresh.c_str());
    if (symlink(ptsname(master), fresh.c_str()) || rename(fresh.c_str(), link)) fail(link);
  }

  // Programs that have the port open see it vanish. The link goes first: the terminal's name may
  // soon be that of another one.
  void unplug() {
    unlink(link);
    close(slave);
    close(master);
  }

  int descriptor() const { return master; }

  size_t read(uint8_t* bytes, size_t count) { return moved(::read(master, bytes, count)); }
  size_t write(const uint8_t* bytes, size_t count) { return moved(::write(master, bytes, count)); }

 private:
  static size_t moved(ssize_t count) {
    if (count < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) fail("terminal");
    return count < 0 ? 0 : count;
  }

  const char* link;
  int master, slave;
};

enum Fault { FLIP, DROP, DUPLICATE, DELAY, SILENCE, UNPLUG, RESET, FAULTS };
constexpr const char* names[FAULTS] = {"flip",    "drop",   "duplicate", "delay",
                                       "silence", "unplug", "reset"};

// Which fault strikes a byte, if any.
class Faults {
 public:
  explicit Faults(uint64_t seed) : random(seed) {}

  void set(const std::string& option) {
    const size_t equals = option.find('=');
    for (int kind = 0; kind < FAULTS; ++kind)
      if (option.substr(0, equals) == names[kind]) rates[kind] = std::stod(option.substr(equals + 1));
  }

  Fault strike() {
    double chance = uniform(random);
    for (int kind = 0; kind < FAULTS; ++kind) {
      if (chance < rates[kind]) {
        ++counts[kind];
        return Fault(kind);
      }
      chance -= rates[kind];
    }
    return FAULTS;
  }

  // As many short as long ones.
  Clock::duration duration() {
    const double seconds = shortest * std::pow(longest / shortest, uniform(random));
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  int bit() { return int(random() % 8); }

  std::array<uint64_t, FAULTS> counts{};

 private:
  std::mt19937_64 random;
  std::uniform_real_distribution<double> uniform;
  std::array<double, FAULTS> rates{};
};

// Bytes on their way in one direction.
struct Way {
  std::deque<uint8_t> bytes;
  Clock::time_point held_until{};
  uint64_t count = 0;  // that have entered
};

// The board with its line. A reset reloads the bitstream: registers and memories are as at power-up.
class Board {
 public:
  Board() { reset(); }

  void reset() {
    dut.reset();
    context = std::make_unique<VerilatedContext>();
    dut = std::make_unique<Vegru>(context.get());
    dut->rx = rx & 1;
    dut->rst = 1;
    for (int i = 0; i < 2; ++i) cycle();
    dut->rst = 0;
  }

  // Simulates a cycle. Takes a byte from `in` when the line is free; whether `out` holds one then.
  bool step(Way& in, bool held, uint8_t& out) {
    if (rx_timer == 0 && !held && !in.bytes.empty()) {
      rx = in.bytes.front() << 1 | 0x200;  // start bit, byte, stop bit
      in.bytes.pop_front();
      rx_timer = 10 * DIVISOR;
    }
    if (rx_timer) {
      dut->rx = rx & 1;
      if (--rx_timer % DIVISOR == 0) rx = rx >> 1 | 0x200;
    }
    cycle();
    ++cycles;
    if (tx_timer == 0) {
      if (!dut->tx) tx_timer = 10 * DIVISOR;
    } else if (--tx_timer % DIVISOR == DIVISOR / 2) {
      tx = (tx | dut->tx << 10) >> 1;
      if (tx_timer < DIVISOR) {
        tx_timer = 0;
        out = tx >> 1;
        return tx >> 9;  // the stop bit
      }
    }
    return false;
  }

  bool idle() const { return rx_timer == 0 && tx_timer == 0 && !(dut->lights >> STEP & 1); }

  uint64_t cycles = 0;

 private:
  void cycle() {
    dut->clk = 1;
    dut->eval();
    dut->clk = 0;
    dut->eval();
  }

  std::unique_ptr<VerilatedContext> context;
  std::unique_ptr<Vegru> dut;
  unsigned rx = 1, tx = 0;
  int rx_timer = 0, tx_timer = 0;
};

volatile sig_atomic_t stopped = 0;

// What happens between terminal and board.
class Desk {
 public:
  Desk(const char* link, uint64_t seed, uint64_t quiet, uint64_t latency)
      : faults(seed), terminal(link), quiet(std::max(quiet, latency + slice)), latency(latency) {}

  void run() {
    std::puts("ready");
    std::fflush(stdout);
    uint8_t bytes[buffer];
    while (!stopped) {
      now = Clock::now();
      if (in.bytes.size() < buffer)
        for (size_t i = 0, count = terminal.read(bytes, buffer); i < count; ++i) enter(in, bytes[i]);
      if (must_simulate()) simulate();
      deliver();
      if (unplugged) replug();
      wait();
    }
  }

  void report() const {
    std::printf("{\"cycles\": %llu, \"to_device\": %llu, \"from_device\": %llu, \"faults\": {",
                (unsigned long long)board.cycles, (unsigned long long)in.count,
                (unsigned long long)out.count);
    for (int kind = 0; kind < FAULTS; ++kind)
      std::printf("%s\"%s\": %llu", kind ? ", " : "", names[kind],
                  (unsigned long long)faults.counts[kind]);
    std::puts("}}");
  }

  Faults faults;

 private:
  // A byte gets on the line.
  void enter(Way& way, uint8_t byte) {
    ++way.count;
    if (now < silent_until) return;
    switch (faults.strike()) {
      case FLIP: byte ^= 1 << faults.bit(); break;
      case DROP: return;
      case DUPLICATE: way.bytes.push_back(byte); break;
      case DELAY: way.held_until = now + faults.duration(); break;
      case SILENCE: silent_until = now + faults.duration(); return;
      case UNPLUG: unplugged = true; break;
      case RESET: board.reset(); break;
      case FAULTS: break;
    }
    way.bytes.push_back(byte);
  }

  bool waits(const Way& way) const { return !way.bytes.empty() && now >= way.held_until; }

  // The clock stands still while nothing happens, and while the host does not read: the line
  // loses nothing because the machine is busy.
  bool must_simulate() const {
    return out.bytes.size() < buffer && (idle < quiet || waits(in));
  }

  void simulate() {
    const bool held = !waits(in);
    bool active = false;
    for (int i = 0; i < slice; ++i) {
      uint8_t byte;
      if (board.step(in, held, byte)) {
        if (out.bytes.empty()) deadline = board.cycles + latency;
        enter(out, byte);
      }
      active |= !board.idle();
    }
    idle = active ? 0 : idle + slice;
  }

  // Passes on what the adapter does not hold back.
  void deliver() {
    if (!waits(out)) return;
    size_t count = out.bytes.size();
    if (board.cycles < deadline) count -= count % adapter_bytes;
    const std::vector<uint8_t> bytes(out.bytes.begin(), out.bytes.begin() + count);
    const size_t written = terminal.write(bytes.data(), count);
    out.bytes.erase(out.bytes.begin(), out.bytes.begin() + written);
    if (written) deadline = board.cycles + latency;
  }

  void replug() {
    unplugged = false;
    terminal.unplug();
    in.bytes.clear();
    out.bytes.clear();
    std::this_thread::sleep_for(faults.duration());
    terminal.plug();
  }

  // Until there is something to do.
  void wait() {
    int milliseconds = -1;
    if (must_simulate()) milliseconds = 0;
    for (const Way* way : {&in, &out})
      if (!way->bytes.empty() && now < way->held_until)
        milliseconds = std::min<unsigned>(milliseconds, until(way->held_until));
    pollfd descriptors[] = {{terminal.descriptor(), 0, 0}, {STDIN_FILENO, 0, 0}};
    if (in.bytes.size() < buffer) descriptors[0].events |= POLLIN;
    if (waits(out)) descriptors[0].events |= POLLOUT;
    poll(descriptors, 2, milliseconds);
    if (descriptors[1].revents) stopped = 1;
  }

  unsigned until(Clock::time_point time) const {
    return 1 + std::chrono::duration_cast<std::chrono::milliseconds>(time - now).count();
  }

  Board board;
  Terminal terminal;
  Way in, out;
  const uint64_t quiet, latency;
  uint64_t idle = 0, deadline = 0;  // cycles
  Clock::time_point now{}, silent_until{};
  bool unplugged = false;
};

}  // namespace

int main(int count, char** argument) {
  struct sigaction action {};
  action.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  Desk desk(argument[1], std::strtoull(argument[2], nullptr, 10),
            std::strtoull(argument[3], nullptr, 10), std::strtoull(argument[4], nullptr, 10));
  for (int i = 5; i < count; ++i) desk.faults.set(argument[i]);
  desk.run();
  desk.report();
}
