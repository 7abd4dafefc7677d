module nospof.test/peers

go 1.26

require github.com/srl-labs/containerlab v0.79.0
