# Makes the instance a Kafka client. The lines above this one set REGION, CLUSTER_ARN, KAFKA_VERSION, IAM_AUTH_VERSION
# and CLIENT_PROPERTIES.
set -euo pipefail

dnf install -y java-17-amazon-corretto-headless

kafka="kafka_2.13-$KAFKA_VERSION"
archive="https://archive.apache.org/dist/kafka/$KAFKA_VERSION/$kafka.tgz"
download() { curl --fail --silent --show-error --location --retry 5 --output "$1" "$2"; }
download "/tmp/$kafka.tgz" "$archive"
download "/tmp/$kafka.tgz.sha512" "$archive.sha512"
# The file reads `name: 0A1B2C3D …` over several lines.
expected=$(tr -d ' \n' <"/tmp/$kafka.tgz.sha512" | cut -d: -f2 | tr A-F a-f)
echo "$expected  /tmp/$kafka.tgz" | sha512sum --check --status
mkdir -p /opt/kafka /etc/msk-dr
tar --extract --gzip --file "/tmp/$kafka.tgz" --directory /opt/kafka --strip-components 1
download "/opt/kafka/libs/aws-msk-iam-auth.jar" \
  "https://github.com/aws/aws-msk-iam-auth/releases/download/v$IAM_AUTH_VERSION/aws-msk-iam-auth-$IAM_AUTH_VERSION-all.jar"

printf '%s' "$CLIENT_PROPERTIES" >/etc/msk-dr/client_iam.properties

# The addresses change with the brokers, so they are asked for each time.
cat >/usr/local/bin/msk-brokers <<SCRIPT
#!/bin/bash
exec aws kafka get-bootstrap-brokers --region $REGION --cluster-arn $CLUSTER_ARN \\
  --query BootstrapBrokerStringSaslIam --output text
SCRIPT
chmod 755 /usr/local/bin/msk-brokers

cat >/etc/profile.d/msk-dr.sh <<SCRIPT
export AWS_REGION=$REGION PATH="\$PATH:/opt/kafka/bin"
SCRIPT
