#!/bin/sh
# An authority of one's own and what it vouches for, for trying the deployment:
#   sh deploy/mosquitto/certificates.sh FOLDER BROKER_HOST CLIENT...
# FOLDER/authority: keep its key off every machine that serves. FOLDER/broker: for Mosquitto.
# FOLDER/mqtt: one pair a client; its name is the broker's user. FOLDER/front: for the proxy, for
# the names orrery.example and gateway.orrery.example (FRONT_NAMES="a.example b.example").
set -eu
umask 077
if [ $# -lt 3 ]; then
    echo "usage: $0 FOLDER BROKER_HOST CLIENT..." >&2
    exit 2
fi
folder=$1 broker=$2
shift 2
days=${DAYS:-365}
mkdir -p "$folder/authority" "$folder/broker" "$folder/mqtt" "$folder/front"
authority=$folder/authority/ca

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

vouch() { # KEY CERTIFICATE COMMON_NAME EXTENSIONS
    key "$1"
    openssl req -new -key "$1" -subj "/CN=$3" -out "$2.csr"
    printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" "$4" > "$2.ext"
    openssl x509 -req -in "$2.csr" -CA "$authority.pem" -CAkey "$authority.key" -CAcreateserial \
        -days "$days" -extfile "$2.ext" -out "$2" 2> /dev/null
    rm "$2.csr" "$2.ext"
}

if [ ! -f "$authority.key" ]; then
    key "$authority.key"
    openssl req -x509 -new -key "$authority.key" -subj "/CN=Orrery" -days 3650 -out "$authority.pem" \
        -addext "keyUsage=critical,keyCertSign,cRLSign"
fi
vouch "$folder/broker/broker.key" "$folder/broker/broker.pem" "$broker" "extendedKeyUsage=serverAuth
subjectAltName=DNS:$broker"
for client in "$@"; do
    vouch "$folder/mqtt/$client.key" "$folder/mqtt/$client.pem" "$client" "extendedKeyUsage=clientAuth"
done
names=
for name in ${FRONT_NAMES:-orrery.example gateway.orrery.example}; do
    names=${names:+$names,}DNS:$name
done
first=${names%%,*}
vouch "$folder/front/orrery.key" "$folder/front/orrery.pem" "${first#DNS:}" "extendedKeyUsage=serverAuth
subjectAltName=$names"
cat "$folder/front/orrery.pem" "$folder/front/orrery.key" > "$folder/front/haproxy.pem"
for place in broker mqtt front; do cp "$authority.pem" "$folder/$place/ca.pem"; done
echo "made in $folder: broker $broker, clients $*, front $names"
