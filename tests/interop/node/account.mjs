// The account of cases: each is printed as `PASS name` or `FAIL name: why`.

// For a single case, in milliseconds. Nothing here takes longer than a second.
const LIMIT = 10_000;

export class Account {
  constructor() {
    this.passed = 0;
    this.failed = 0;
  }

  // Awaits `body`, which fails by throwing. Whether it did not.
  async case(name, body) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${LIMIT} ms`)), LIMIT);
    });
    try {
      await Promise.race([body(), late]);
      this.passed += 1;
      console.log(`PASS ${name}`);
      return true;
    } catch (error) {
      this.failed += 1;
      const line = /\(?([^(/]*\.mjs:\d+)/.exec(
        error.stack?.split("\n    at ").slice(1).join("\n") ?? "",
      );
      const text = error.message.replaceAll("\n", " ").slice(0, 300);
      console.log(`FAIL ${name}: ${text}; ${line?.[1] ?? "somewhere"}`);
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  end() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    process.exit(this.failed === 0 ? 0 : 1);
  }
}

// Bytes of which no two neighbours are alike, so that lost or doubled ones show.
export function pattern(size) {
  return Buffer.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}
