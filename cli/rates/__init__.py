"""What `bench_rates` is made of: a trial of the prober at a rate, what its figures say, and peers at theirs."""
