// A session with the Verilated accelerator, without Python in a cycle.
//
//   harness STALL SEED PATIENCE [WAVES LIMIT]
//
// Reads requests from stdin until it ends, and answers on stdout, all in uint64. A request is an
// operation and a number:
//
//   RESET    0  pulses rst; packets and replies that wait are discarded
//   SEND     N  N packets follow, to be sent after all earlier ones
//   RECEIVE  N  simulates until N replies other than EVENT have arrived, or nothing was transferred
//               for PATIENCE cycles; answers with how many are missing, and with the replies: their
//               number, and each of them
//
// The clock runs only during RECEIVE, so that packets follow each other without a gap, however they
// were divided into requests. STALL is the probability that a stream stalls in a cycle, for each
// stream alone. Waveforms are recorded in the file WAVES until it has LIMIT bytes.
#include <poll.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <random>
#include <vector>

#include "Vegru.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Waves = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Waves = VerilatedVcdC;
#endif

namespace {

constexpr uint64_t poll_interval = 1 << 16;  // cycles

// Whether a stream stalls in a cycle.
class Stalls {
 public:
  Stalls(double probability, uint64_t seed)
      : random(seed), below(uint64_t(probability * 0x1p32)), never(probability == 0) {}
  bool possible() const { return !never; }
  bool operator()() { return !never && (random() >> 32) < below; }

 private:
  std::mt19937_64 random;
  uint64_t below;
  bool never;
};

// The accelerator, its clock, and a recording of its signals.
class Simulation {
 public:
  Simulation(const char* path, uint64_t limit) : path(path), limit(limit) {
#if VM_TRACE
    context.traceEverOn(true);
    dut.trace(&waves, 99);
    waves.open(path);
#endif
  }

  void cycle() {
    half_cycle(1);
    half_cycle(0);
  }

 private:
  void half_cycle(int clk) {
    dut.clk = clk;
    dut.eval();
#if VM_TRACE
    // The size is checked now and then, as the file is written in large pieces.
    if (waves.isOpen()) waves.dump(5 * half_cycles);
    if (half_cycles % 1024 == 0 && waves.isOpen() && std::filesystem::file_size(path) >= limit)
      waves.close();
    ++half_cycles;
#endif
  }

  VerilatedContext context;

 public:
  Vegru dut{&context};

 private:
  const char* path;
  uint64_t limit, half_cycles = 0;
#if VM_TRACE
  Waves waves;
#endif
};

bool read(uint64_t* words, size_t count) {
  return std::fread(words, sizeof *words, count, stdin) == count;
}

bool write(const uint64_t* words, size_t count) {
  return std::fwrite(words, sizeof *words, count, stdout) == count;
}

// During RECEIVE the host sends nothing: if there is something to read, it is the end.
bool host_is_gone() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return poll(&input, 1, 0) != 0;
}

}  // namespace

int main(int count, char** argument) {
  Stalls stalls(std::atof(argument[1]), std::strtoull(argument[2], nullptr, 10));
  const uint64_t patience = std::strtoull(argument[3], nullptr, 10);
  Simulation simulation(count > 4 ? argument[4] : nullptr,
                        count > 5 ? std::strtoull(argument[5], nullptr, 10) : 0);
  Vegru& dut = simulation.dut;
  std::deque<uint64_t> packets;
  std::vector<uint64_t> replies;
  bool offering = false, taking = false;

  const auto reset = [&] {
    packets.clear();
    dut.i___05Fvalid = offering = false;
    dut.o___05Fready = taking = false;
    dut.rst = 1;
    for (int i = 0; i < 2; ++i) simulation.cycle();
    dut.rst = 0;
  };

  // Signals are driven and sampled while the clock is low. Ready and valid depend on registers
  // only, so the transfers of the next rising edge are already known.
  const auto receive = [&](int64_t outstanding) {
    replies.clear();
    uint64_t idle = 0;
    for (uint64_t cycle = 1; outstanding > 0 && idle < patience; ++cycle) {
      simulation.cycle();
      ++idle;
      if (!offering) {
        offering = !packets.empty() && !stalls();
        dut.i___05Fvalid = offering;
        if (offering) dut.i___05Fpayload = packets.front();
      }
      if (offering && dut.i___05Fready) {
        packets.pop_front();
        idle = 0;
        offering = false;
      }
      if (stalls.possible() || !taking) {
        taking = !stalls();
        dut.o___05Fready = taking;
      }
      if (taking && dut.o___05Fvalid) {
        const uint64_t packet = dut.o___05Fpayload;
        replies.push_back(packet);
        idle = 0;
        outstanding -= packet >> CODE_OFFSET != EVENT_CODE;
      }
      if (cycle % poll_interval == 0 && host_is_gone()) return false;
    }
    const uint64_t head[] = {uint64_t(outstanding), replies.size()};
    return write(head, 2) && write(replies.data(), replies.size()) && std::fflush(stdout) == 0;
  };

  reset();
  for (uint64_t request[2]; read(request, 2);) {
    const auto [operation, number] = request;
    if (operation == RESET) {
      reset();
    } else if (operation == SEND) {
      std::vector<uint64_t> sent(number);
      if (!read(sent.data(), number)) break;
      packets.insert(packets.end(), sent.begin(), sent.end());
    } else if (!receive(number)) {
      break;
    }
  }
}
