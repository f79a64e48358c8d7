// Plays packets into the Verilated accelerator and records the replies, without Python.
//
//   harness PACKETS REPLIES COUNT STALL SEED PATIENCE [WAVES LIMIT]
//
// PACKETS and REPLIES are files of uint64. COUNT replies other than EVENT are expected; the
// simulation ends early after PATIENCE cycles without a transfer. STALL is the probability that
// a stream stalls in a cycle, for each stream alone. Waveforms are recorded in the file WAVES until
// it has LIMIT bytes. Prints the share of replies received now and then, and at the end the number
// of those still missing.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
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

constexpr uint64_t progress_interval = 1 << 17;  // cycles

[[noreturn]] void fail(const char* path) {
  std::perror(path);
  std::exit(2);
}

std::vector<uint64_t> read(const char* path) {
  FILE* file = std::fopen(path, "rb");
  if (!file) fail(path);
  std::vector<uint64_t> words(std::filesystem::file_size(path) / sizeof(uint64_t));
  if (std::fread(words.data(), sizeof(uint64_t), words.size(), file) != words.size()) fail(path);
  std::fclose(file);
  return words;
}

// Whether a stream stalls in a cycle.
class Stalls {
 public:
  Stalls(double probability, uint64_t seed)
      : random(seed), below(uint64_t(probability * 0x1p32)), never(probability == 0) {}
  bool operator()() { return !never && (random() >> 32) < below; }

 private:
  std::mt19937_64 random;
  uint64_t below;
  bool never;
};

}  // namespace

int main(int, char** argument) {
  const std::vector<uint64_t> packets = read(argument[1]);
  FILE* replies = std::fopen(argument[2], "wb");
  if (!replies) fail(argument[2]);
  const int64_t count = std::atoll(argument[3]);
  const double stall = std::atof(argument[4]);
  const uint64_t seed = std::strtoull(argument[5], nullptr, 10);
  const uint64_t patience = std::strtoull(argument[6], nullptr, 10);

  VerilatedContext context;
#if VM_TRACE
  context.traceEverOn(true);
#endif
  Vegru dut{&context};
#if VM_TRACE
  Waves waves;
  const char* path = argument[7];
  const uint64_t limit = std::strtoull(argument[8], nullptr, 10);
  dut.trace(&waves, 99);
  waves.open(path);
#endif
  uint64_t half_cycles = 0;
  const auto half_cycle = [&](int clk) {
    dut.clk = clk;
    dut.eval();
#if VM_TRACE
    // The size is checked now and then, as the file is written in large pieces.
    if (waves.isOpen()) waves.dump(5 * half_cycles);
    if (half_cycles % 1024 == 0 && waves.isOpen() && std::filesystem::file_size(path) >= limit)
      waves.close();
#endif
    ++half_cycles;
  };

  dut.i___05Fvalid = 0;
  dut.o___05Fready = 0;
  dut.rst = 1;
  for (int i = 0; i < 2; ++i) half_cycle(1), half_cycle(0);
  dut.rst = 0;

  // Signals are driven and sampled while the clock is low. Ready and valid depend on registers
  // only, so the transfers of the next rising edge are already known.
  Stalls stalls(stall, seed);
  int64_t outstanding = count;
  size_t position = 0;
  uint64_t idle = 0;
  bool offering = false, taking = false;
  for (uint64_t cycle = 1; outstanding > 0 && idle < patience; ++cycle) {
    half_cycle(1);
    half_cycle(0);
    ++idle;
    if (!offering) {
      offering = position < packets.size() && !stalls();
      dut.i___05Fvalid = offering;
      if (offering) dut.i___05Fpayload = packets[position];
    }
    if (offering && dut.i___05Fready) {
      ++position;
      idle = 0;
      offering = false;
    }
    if (stall > 0 || !taking) {
      taking = !stalls();
      dut.o___05Fready = taking;
    }
    if (taking && dut.o___05Fvalid) {
      const uint64_t packet = dut.o___05Fpayload;
      if (std::fwrite(&packet, sizeof packet, 1, replies) != 1) fail(argument[2]);
      idle = 0;
      outstanding -= packet >> CODE_OFFSET != EVENT_CODE;
    }
    if (cycle % progress_interval == 0) {
      std::printf("%f\n", 1 - double(outstanding) / count);
      std::fflush(stdout);
    }
  }
  std::printf("%lld\n", static_cast<long long>(outstanding));
  if (std::fclose(replies) != 0) fail(argument[2]);
}
